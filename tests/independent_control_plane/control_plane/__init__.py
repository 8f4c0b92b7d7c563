"""A control plane for ephemerald, written from its published protocol."""
