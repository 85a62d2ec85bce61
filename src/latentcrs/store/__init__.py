"""What was said and done, kept in SQLite or PostgreSQL: conversations, events, items that joined."""
