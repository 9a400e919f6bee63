"""The supervisor: guard and router. It decides which agents answer a turn."""
