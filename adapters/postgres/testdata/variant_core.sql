-- A database from before assets and stored chats.

DROP TABLE asset_usage, asset_modifications, asset_generations, assets, asset_sources, chat_messages, conversations;
