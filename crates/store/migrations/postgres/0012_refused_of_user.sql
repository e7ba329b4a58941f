-- Each login looks for the refused ones since the last that passed. Without this it reads all events of its user.
CREATE INDEX refused_of_user ON event (name, written) WHERE kind = 'refused' AND source = 'login';
