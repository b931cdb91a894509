"""Links: attachments of programs, those of an object, those that exist, and how a restart finds its own."""
