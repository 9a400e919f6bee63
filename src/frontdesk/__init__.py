"""frontdesk: one self-hosted server that runs an organisation's AI conversations."""
