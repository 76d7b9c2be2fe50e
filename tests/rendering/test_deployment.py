"""Files of ``deploy``: the schemas of those who read them, the same words in each, the plan's figures when the command is read back."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from conftest import SHARED_ABSENT
from deployments import CELLS, ON_ONE_SERVER, ON_SEVERAL, Cell, documents, made, one_start
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.engines.base.launch_words import words_for
from gpusizer.engines.base.types import Fit
from gpusizer.errors import InputError
from gpusizer.i18n import has
from gpusizer.planning.asked_start import asked_start
from gpusizer.planning.deploy import TARGETS, ToRun, Wishes, of_plan, wishes_of
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering.deployment.document import deployed
from gpusizer.rendering.deployment.names import label
from gpusizer.rendering.deployment.targets.command import lines_of
from gpusizer.rendering.deployment.workload import workload_of
from gpusizer.units import GiB

NO_KUBERNETES = "kubernetes-validate comes with the extra [test]"
NO_COMPOSE = "check-jsonschema comes with the extra [test]"


def refused(run: ToRun, target: str, **wishes: str) -> InputError:
    """The refusal of a target, with words for it."""
    with pytest.raises(InputError) as caught:
        deployed(run, wishes_of({"target": target, **wishes}), "en")
    assert has("error", caught.value.code)
    assert has("hint", caught.value.code)
    return caught.value


# ---- schemas -------------------------------------------------------------------------------------------------------------------------------------


@cache
def compose_schema() -> Any:
    builtin = pytest.importorskip("check_jsonschema.builtin_schemas", reason=NO_COMPOSE)
    jsonschema = pytest.importorskip("jsonschema", reason=NO_COMPOSE)
    schema = builtin.get_builtin_schema("vendor.compose-spec")
    return jsonschema.validators.validator_for(schema)(schema)


@cache
def leader_worker_set(path: Path) -> Any:
    """The definition of a LeaderWorkerSet with every object closed."""
    yaml, jsonschema = pytest.importorskip("yaml", reason=NO_KUBERNETES), pytest.importorskip("jsonschema", reason=NO_COMPOSE)
    with path.open(encoding="utf-8") as stream:
        found = yaml.load(stream, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    schema = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft4Validator(closed(schema))


def closed(schema: Any) -> Any:
    """A schema whose objects take nothing that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(each) for name, each in schema.items()}
    if found.get("type") == "object" and "properties" in found and "additionalProperties" not in found:
        found["additionalProperties"] = False
    return found


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_manifests_are_what_kubernetes_takes(cell: Cell, request: pytest.FixtureRequest) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason=NO_KUBERNETES)
    run = made(cell)
    found = documents(run, "kubernetes")
    assert ("LeaderWorkerSet" if cell in ON_SEVERAL else "Deployment") in {each["kind"] for each in found}
    for each in found:
        if each["kind"] != "LeaderWorkerSet":
            validator.validate(each, "1.37", strict=True)
            continue
        shared: Path = request.getfixturevalue("shared")
        leader_worker_set(shared / "schemas" / "leaderworkerset.yaml").validate(each)
        for template in ("leaderTemplate", "workerTemplate"):  # the pods again, by Kubernetes' own word
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": each["spec"]["leaderWorkerTemplate"][template]["spec"]}
            validator.validate(pod, "1.37", strict=True)
        assert each["spec"]["leaderWorkerTemplate"]["size"] == run.nodes
    for name in (each["metadata"]["name"] for each in found):
        assert label(name) == name


@pytest.mark.shared
def test_the_checks_refuse_what_is_misspelt(shared: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason=NO_COMPOSE)
    sets = next(each for each in documents(made(ON_SEVERAL[0]), "kubernetes") if each["kind"] == "LeaderWorkerSet")
    sets["spec"]["leaderWorkerTemplate"]["sizee"] = 2
    with pytest.raises(jsonschema.ValidationError):
        leader_worker_set(shared / "schemas" / "leaderworkerset.yaml").validate(sets)
    (found,) = documents(made(CELLS[0]), "compose")
    next(iter(found["services"].values()))["ipcc"] = "host"
    with pytest.raises(jsonschema.ValidationError):
        compose_schema().validate(found)


@pytest.mark.parametrize("cell", ON_ONE_SERVER, ids=str)
def test_compose_files_are_what_compose_takes(cell: Cell) -> None:
    (found,) = documents(made(cell), "compose")
    compose_schema().validate(found)
    ports = [port.partition(":")[0] for each in found["services"].values() for port in each["ports"]]
    assert len(set(ports)) == len(found["services"])


def test_replicas_of_one_machine_share_no_device() -> None:
    run = made(Cell("gemma-3-27b-it", "vllm", "rtx4090-24gb"))
    assert run.replicas > 1
    (found,) = documents(run, "compose")
    given = [each["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"] for each in found["services"].values()]
    assert sorted(number for each in given for number in each) == sorted(map(str, range(run.replicas * run.gpus)))


@pytest.mark.parametrize("cell", [each for each in ON_ONE_SERVER if each.engine == "vllm"], ids=str)
def test_chart_values_are_what_the_chart_takes(cell: Cell, shared: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason=NO_COMPOSE)
    path = shared / "schemas" / "production-stack-values.schema.json"
    if not path.exists():
        pytest.skip(SHARED_ABSENT)
    schema = closed(json.loads(path.read_text(encoding="utf-8")))
    (found,) = documents(made(cell), "production-stack")
    jsonschema.validators.validator_for(schema)(schema).validate(found)


# ---- the same words everywhere -------------------------------------------------------------------------------------------------------------------


def words_of(run: ToRun) -> list[list[str]]:
    """The commands that a shell sees, word by word, as a shell parts them."""
    return [shlex.split(line) for _, line in lines_of(workload_of(run, Wishes(), "en"))]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_every_target_starts_the_same(cell: Cell) -> None:
    run = made(cell)
    plain = workload_of(run, Wishes(), "en").words
    containers = [
        each["spec"]["template"]["spec"]["containers"][0] if each["kind"] == "Deployment" else template["spec"]["containers"][0]
        for each in documents(run, "kubernetes")
        if each["kind"] in ("Deployment", "LeaderWorkerSet")
        for template in each["spec"].get("leaderWorkerTemplate", {"": {}}).values()
        if each["kind"] == "Deployment" or isinstance(template, dict)
    ]
    told = [[*each["command"], *each["args"]] for each in containers]
    if run.nodes == 1:
        (services,) = documents(run, "compose")
        told += [[*each["entrypoint"], *each["command"]] for each in services["services"].values()]
    assert told
    for words in told:
        said = [word.replace("/etc/gpusizer/", "") for word in words[1 : len(plain)]]
        assert said == list(plain[1:])
    if run.nodes > 1:
        leader, worker = told
        assert "$(LWS_LEADER_ADDRESS)" in " ".join(leader)
        assert "$(LWS_WORKER_INDEX)" in worker
        assert "$(LWS_WORKER_INDEX)" not in leader


def test_the_chart_and_ray_say_what_the_command_says() -> None:
    run = made(CELLS[0])
    words = dict(zip(words_of(run)[0][3::2], words_of(run)[0][4::2], strict=True))
    (values,) = documents(run, "production-stack")
    said = values["servingEngineSpec"]["modelSpec"][0]["vllmConfig"]
    assert said["enablePrefixCaching"] is True  # the chart would turn it off
    assert (said["tensorParallelSize"], said["maxModelLen"], said["maxNumSeqs"]) == tuple(
        int(words.pop(name)) for name in ("--tensor-parallel-size", "--max-model-len", "--max-num-seqs")
    )
    assert said["gpuMemoryUtilization"] == float(words.pop("--gpu-memory-utilization"))
    assert dict(zip(said["extraArgs"][::2], said["extraArgs"][1::2], strict=True)) == words
    yaml = pytest.importorskip("yaml", reason=NO_KUBERNETES)
    served = yaml.safe_load(documents(run, "ray")[1]["spec"]["serveConfigV2"])
    arguments = served["applications"][0]["args"]["llm_configs"][0]["engine_kwargs"]
    spelled = words_for({"tp": arguments["tensor_parallel_size"], "memory_fraction": arguments["gpu_memory_utilization"]}, "vllm")[1]
    assert set(spelled) <= set(words_of(run)[0])


# ---- round trip ----------------------------------------------------------------------------------------------------------------------------------


def figures(fit: Fit) -> tuple[Any, ...]:
    """Everything that a plan prints of memory, to the byte; a flag that is said may only narrow a band."""
    return fit.kv_cache, fit.max_concurrency, fit.budget_bytes, [[(item.id, item.bytes) for item in rank.items] for rank in fit.ranks]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_command_read_back_gives_the_figures_of_the_plan(cell: Cell) -> None:
    run = made(cell)
    for _, line in lines_of(workload_of(run, Wishes(), "en")):
        launch = asked_start(None, [cell.gpu], command=[line], named={}, flags={})
        assert {each.code for each in launch.notices} <= {"flags-neutral"}
        assert figures(make_fit(launch.deployment, launch.notices).fit) == figures(run.fit), line


@pytest.mark.parametrize("cell", ON_SEVERAL, ids=str)
def test_servers_of_one_replica_differ_in_their_place_alone(cell: Cell) -> None:
    commands = words_of(made(cell))
    assert len(commands) == made(cell).nodes
    ranks = [words[words.index("--node-rank") + 1] for words in commands]
    assert ranks == list(map(str, range(len(commands))))
    rest = [[word for word in words if word != "--headless"] for words in commands]
    for words, rank in zip(rest, ranks, strict=True):
        words[words.index("--node-rank") + 1] = "R"
        assert words == rest[0], rank
    assert ["--headless" in words for words in commands] == [cell.engine == "vllm" and rank != "0" for rank in ranks]


def test_the_whole_file_may_be_pasted_too() -> None:
    for cell in (CELLS[0], *ON_SEVERAL[:2]):
        words = deployed(made(cell), Wishes(), "en")
        launch = asked_start(None, [cell.gpu], command=[words], named={}, flags={})
        assert figures(make_fit(launch.deployment, launch.notices).fit) == figures(made(cell).fit)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp", "ollama"])
def test_servers_of_one_machine_have_devices_and_ports_of_their_own(engine: str) -> None:
    run = replace(made(Cell("qwen3-8b", engine, "rtx4090-24gb")), replicas=3)
    lines = [shlex.split(line) for _, line in lines_of(workload_of(run, Wishes(), "en"))]
    devices = [next(word for word in words if word.startswith("CUDA_VISIBLE_DEVICES=")) for words in lines]
    ports = [words[words.index("--port") + 1] if "--port" in words else next(each for each in words if "HOST=" in each) for words in lines]
    assert len(lines) == len(set(devices)) == len(set(ports)) == 3


def test_what_stands_beside_is_started_by_commands_alone() -> None:
    request = Request(model="qwen3-32b", users=100, gpus=("h200-sxm-141gb",), with_models=("bge-m3",), spare=1)
    option = make_plan(request).options[0]
    run = of_plan(make_plan(request))
    assert run.replicas == option.replicas + 1
    words = deployed(run, Wishes(), "en")
    assert "vllm serve BAAI/bge-m3" in words
    ports = re.findall(r"--port (\d+)", words)
    assert len(ports) == len(set(ports)) == run.replicas + 1
    assert refused(run, "compose").parameters["instead"] == "command"


# ---- what was worked out -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_room_and_patience_follow_from_the_checkpoint(cell: Cell) -> None:
    run = made(cell)
    found = documents(run, "kubernetes")
    room = int(found[0]["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) * GiB
    assert run.checkpoint_bytes * 1.1 <= room <= run.checkpoint_bytes * 1.1 + 10 * GiB
    work = workload_of(run, Wishes(), "en")
    assert work.startup_s >= run.checkpoint_bytes / 286e6


def test_what_is_quantised_while_it_loads_is_stored_whole() -> None:
    run = made(Cell("qwen3-8b", "vllm", "h100-sxm-80gb", (("precision", "fp8"),)))
    assert run.checkpoint_bytes == checkpoint_bytes(run.model.stored) > checkpoint_bytes(run.architecture)


@pytest.mark.parametrize(
    ("cell", "resource"),
    [
        (CELLS[0], "nvidia.com/gpu"),
        (Cell("gpt-oss-120b", "vllm", "mi300x-192gb", (("kv_precision", "fp8"),)), "amd.com/gpu"),
        (Cell("qwen3-32b", "vllm", "ascend910b3-64gb", (("precision", "int4"),)), "huawei.com/Ascend910"),
    ],
)
def test_devices_are_asked_for_by_the_name_of_their_plugin(cell: Cell, resource: str) -> None:
    run = made(cell)
    (server,) = [each for each in documents(run, "kubernetes") if each["kind"] == "Deployment"]
    assert server["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] == {resource: str(run.gpus)}


def test_a_closed_network_is_said_in_every_container() -> None:
    told = {"registry": "reg.local:5000/mirror", "hub_endpoint": "http://hub.local", "offline": "on"}
    run = made(CELLS[0])
    (server,) = [each for each in documents(run, "kubernetes", **told) if each["kind"] == "Deployment"]
    container = server["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "reg.local:5000/mirror/vllm/vllm-openai:v0.33.0"
    assert container["env"] == [
        {"name": "HF_HOME", "value": "/models"},
        {"name": "HF_ENDPOINT", "value": "http://hub.local"},
        {"name": "HF_HUB_OFFLINE", "value": "1"},
    ]
    (file,) = documents(run, "compose", **told)
    assert file["services"]["deepseek-v3"]["environment"] == {"HF_HOME": "/models", "HF_ENDPOINT": "http://hub.local", "HF_HUB_OFFLINE": "1"}


def test_what_brings_its_own_image_takes_another_where_it_is_named() -> None:
    told = {"image": "quay.io/own/vllm:v1", "registry": "reg.local"}
    (service,) = documents(made(CELLS[0]), "kserve", **told)
    assert service["spec"]["template"]["containers"][0]["image"] == "reg.local/own/vllm:v1"
    assert "image" not in documents(made(CELLS[0]), "kserve")[0]["spec"]["template"]["containers"][0]
    cluster = documents(made(CELLS[0]), "ray", **told)[1]["spec"]["rayClusterConfig"]
    assert cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["image"] == "reg.local/own/vllm:v1"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("target", TARGETS)
def test_every_file_says_what_it_is(target: str, language: str) -> None:
    lines = deployed(made(CELLS[0]), wishes_of({"target": target}), language).splitlines()
    assert lines[0].startswith("# DeepSeek-V3")
    assert "8" in lines[0]
    assert "gpusizer" in lines[1]


# ---- refusals name the target that does it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["compose", "production-stack", "kserve"])
def test_several_servers_are_refused_by_what_holds_one(target: str) -> None:
    error = refused(made(ON_SEVERAL[0]), target)
    assert (error.code, error.parameters["nodes"]) == ("deploy-one-server", 2)
    assert documents(made(ON_SEVERAL[0]), error.parameters["instead"])


def test_an_engine_is_refused_by_what_is_made_for_another() -> None:
    run = made(Cell("qwen3-8b", "llama.cpp", "rtx4090-24gb"))
    error = refused(run, "production-stack")
    assert error.code == "deploy-engine"
    assert documents(run, error.parameters["instead"])


def test_what_nobody_knows_is_asked_for() -> None:
    run = one_start("qwen3-8b", "metax-c500-64gb")
    assert refused(run, "kubernetes").code == "deploy-no-image"
    assert documents(run, "kubernetes", image="reg.local/vllm-metax:v0.26.0")
    assert refused(run, "compose", image="reg.local/vllm-metax:v0.26.0").code == "deploy-no-devices"


@pytest.mark.parametrize("words", ["a b", "x\ny", "img;reboot", "$(id)"])
@pytest.mark.parametrize("name", ["image", "registry", "hub_endpoint", "leader"])
def test_an_image_or_address_is_a_plain_word(name: str, words: str) -> None:
    assert refused(made(CELLS[0]), "kubernetes", **{name: words}).code == "deploy-bad-word"
