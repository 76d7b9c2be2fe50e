"""SGLang: how it uses memory."""
