"""Everything that knows aiohttp or the API key."""
