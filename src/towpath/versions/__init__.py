"""The bytes and the code of registered versions: brought, sent, applied to a table."""
