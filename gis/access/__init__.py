"""Who may come in, what they see, what is shown of people, and the record of it all."""
