"""Who calls and what they may: roles and permissions, credentials, staff and their sessions."""
