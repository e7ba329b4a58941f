-- An address that its owner put on file and nobody has verified: the only kind that proves nobody at an enrolment.
ALTER TABLE user ADD COLUMN email_by_owner INTEGER NOT NULL DEFAULT 0 CHECK (email_by_owner IN (0, 1));
ALTER TABLE user ADD COLUMN phone_by_owner INTEGER NOT NULL DEFAULT 0 CHECK (phone_by_owner IN (0, 1));
