"""Talking to mailbox servers: the WebSocket, dialling, reconnecting, and the frames' form."""
