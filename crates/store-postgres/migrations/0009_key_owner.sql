-- Who holds an API key. A server of the version before leaves it empty and takes each key for a
-- principal of its own.
ALTER TABLE api_keys ADD COLUMN owner text;
