-- The user's own keys that sshd verified in the login of a session: a JSON list, each as in a `.pub` file.
ALTER TABLE session ADD COLUMN keys TEXT NOT NULL DEFAULT '[]';
