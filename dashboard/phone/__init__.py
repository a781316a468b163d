"""The phone (`/m`): one small installable page for villagers and grid members, that works without a network."""
