-- Who holds an API key. Keys of one owner are one principal.
ALTER TABLE api_keys ADD COLUMN owner TEXT;
