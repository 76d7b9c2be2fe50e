"""Tools for agents over the Model Context Protocol: what they take, what they answer, and the server that offers them (extra ``[mcp]``)."""
