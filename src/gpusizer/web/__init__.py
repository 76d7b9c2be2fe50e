"""The page, the HTTP API and the report on a server; needs the extra ``[web]``.

One process speaks HTTP, checks what is asked and keeps answers; worker processes compute (:mod:`gpusizer.web.work`), so that a slow question holds
nobody up.
"""
