"use strict";
// One page, one script: it asks while one types, keeps every state in the address, and copies. Without it the form asks by itself.
(() => {
  const WAIT_MS = 150; // after a key, before it asks
  const BURST_MS = 1000; // keys with shorter pauses are one step for Back

  const ready = (root) => {
    for (const each of root.querySelectorAll("[data-copy], [data-script]")) each.hidden = false;
    const curl = root.querySelector("#as-curl");
    if (curl) curl.textContent = curl.textContent.trim().replace("http://127.0.0.1:8000", location.origin);
  };

  const copy = async (button) => {
    const text = document.getElementById(button.dataset.copy).textContent.trim();
    try {
      await navigator.clipboard.writeText(text);
    } catch { // pages that are not served over https have no clipboard
      const selection = getSelection();
      selection.selectAllChildren(document.getElementById(button.dataset.copy));
      document.execCommand("copy");
      selection.removeAllRanges();
    }
    const words = button.textContent;
    button.textContent = "✓";
    setTimeout(() => (button.textContent = words), 1200);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });
  ready(document);

  // A form without an answer that changes as one types keeps its address short: what is empty is not sent.
  const short = document.querySelector("form[data-short]");
  const empty = (is) => {
    for (const each of short?.elements ?? []) if (each.name && !each.value) each.disabled = is;
  };
  short?.addEventListener("submit", () => empty(true));
  addEventListener("pageshow", () => empty(false));

  let form = document.getElementById("ask");
  if (!form) return;
  const answer = document.getElementById("answer");
  const narrow = matchMedia("(max-width: 62rem)");
  let running, timer, typedAt = 0, fresh = true;

  const compact = (text) => {
    try {
      return JSON.stringify(JSON.parse(text));
    } catch {
      return text;
    }
  };

  // What the form asks, without what is empty.
  const asked = () => {
    const pairs = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (value.trim()) pairs.append(name, name === "config" ? compact(value) : value.trim());
    }
    return pairs;
  };

  // Too long for an address.
  const isLong = (pairs) => String(pairs).length > Number(form.dataset.longest);

  const show = (fragment) => {
    const open = new Map([...answer.querySelectorAll("details[id]")].map((each) => [each.id, each.open]));
    answer.replaceChildren(...fragment.childNodes);
    for (const each of answer.querySelectorAll("details[id]")) each.open = open.get(each.id) ?? each.open;
    ready(answer);
    const result = document.getElementById("result");
    document.getElementById("now").textContent = result.dataset.short;
    document.getElementById("status").textContent = answer.querySelector("h1").textContent;
    for (const link of document.querySelectorAll("[data-language]")) {
      link.search = new URLSearchParams([...new URLSearchParams(result.dataset.query), ["lang", link.dataset.language]]);
    }
  };

  // What is taken where nothing is typed, and what is wrong, beside each input; what was typed stays.
  const tell = (told) => {
    for (const said of told.querySelectorAll(".wrong")) {
      const mine = document.getElementById(said.id);
      mine.textContent = said.textContent;
      mine.hidden = said.hidden;
    }
    for (const input of form.querySelectorAll("[placeholder], select")) {
      const other = told.querySelector(`#${input.id}`);
      if (!other) continue;
      if (other.placeholder) input.placeholder = other.placeholder;
      for (const name of ["aria-invalid", "aria-describedby"]) {
        if (other.hasAttribute(name)) input.setAttribute(name, other.getAttribute(name));
        else input.removeAttribute(name);
      }
    }
  };

  const fetched = async (url, options) => {
    running?.abort();
    running = new AbortController();
    answer.setAttribute("aria-busy", "true");
    const trouble = document.getElementById("trouble");
    try {
      const response = await fetch(url, { ...options, signal: running.signal });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (!page.getElementById("result")) throw new Error(response.statusText);
      trouble.hidden = true;
      answer.removeAttribute("aria-busy");
      return page;
    } catch (error) {
      if (error.name === "AbortError") return null;
      answer.removeAttribute("aria-busy");
      trouble.textContent = form.dataset.failed;
      trouble.hidden = false;
      return null;
    }
  };

  const ask = async () => {
    const pairs = asked();
    if (!pairs.has("model") && !pairs.has("config")) return;
    const long = isLong(pairs);
    const to = form.dataset.part;
    const part = await (long ? fetched(`${to}?lang=${pairs.get("lang")}`, { method: "POST", body: pairs }) : fetched(`${to}?${pairs}`));
    if (!part) return;
    show(part.getElementById("answer"));
    tell(part.getElementById("ask"));
    if (long) return;
    history[fresh ? "pushState" : "replaceState"](null, "", `${form.getAttribute("action")}?${pairs}`);
    fresh = false;
  };

  // A whole state from its address: inputs and answer.
  const load = async (url) => {
    const page = await fetched(form.dataset.part + new URL(url, location).search);
    if (!page) return false;
    form.replaceWith(page.getElementById("ask"));
    form = document.getElementById("ask");
    show(page.getElementById("answer"));
    ready(form);
    return true;
  };

  const soon = (wait) => {
    const now = performance.now();
    if (now - typedAt > BURST_MS) fresh = true;
    typedAt = now;
    clearTimeout(timer);
    timer = setTimeout(ask, wait);
  };

  document.addEventListener("input", (event) => {
    const input = event.target;
    if (!form.contains(input) || input.type === "file") return;
    // A name that is searched in a list is asked for when it is whole: chosen from the list, or left.
    const whole = !input.list || [...input.list.options].some((each) => each.value === input.value);
    if (whole) soon(WAIT_MS);
  });

  document.addEventListener("change", async (event) => {
    const input = event.target;
    if (!form.contains(input)) return;
    if (input.type === "file" && input.files[0]) {
      document.getElementById(input.dataset.into).value = await input.files[0].text();
      soon(0);
    } else if (input.list) {
      soon(0);
      if (input.name === "gpus" && input.value && input === [...form.elements.gpus].at?.(-1)) another(input);
    }
  });

  // A further input below the last one of a list.
  const another = (input) => {
    const next = input.cloneNode();
    next.value = "";
    next.id = `${input.id}-next`;
    input.after(next);
  };

  document.addEventListener("submit", (event) => {
    if (event.target !== form || (event.submitter && !form.contains(event.submitter))) return; // a button elsewhere asks for another form
    event.preventDefault();
    soon(0);
    if (narrow.matches) answer.scrollIntoView();
  });

  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a.state");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const before = answer.querySelector("h1").textContent;
    if (!(await load(link.href))) return;
    history.pushState(null, "", link.href);
    fresh = true;
    const again = [...answer.querySelectorAll("a.state")].find((each) => each.href === link.href) ?? answer;
    again.focus({ preventScroll: true });
    if (answer.querySelector("h1").textContent !== before) answer.scrollIntoView();
  });

  // A state without an address changes its language as a form.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-language]");
    if (!link || !isLong(asked())) return;
    event.preventDefault();
    form.method = "post";
    form.action = `${form.getAttribute("action")}?lang=${link.dataset.language}`;
    form.submit();
  });

  addEventListener("popstate", () => load(location.href));
  if (narrow.matches) document.getElementById("inputs").open = false;
})();
