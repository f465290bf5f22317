"""All that knows aiohttp or the key."""
