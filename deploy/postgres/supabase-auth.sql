-- What Supabase Auth (GoTrue) needs before its own migrations can run: a role, and a schema that belongs to it. It can be run again.
-- The password comes from SUPABASE_DB_PASSWORD.
\set password `printf %s "$SUPABASE_DB_PASSWORD"`

SELECT 'CREATE ROLE supabase_auth_admin LOGIN NOINHERIT' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'supabase_auth_admin') \gexec
ALTER ROLE supabase_auth_admin PASSWORD :'password';
ALTER ROLE supabase_auth_admin SET search_path = auth;

-- Its migrations grant rights to a role of this name, which is the superuser at Supabase and nobody here.
SELECT 'CREATE ROLE postgres NOLOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postgres') \gexec

SELECT format('GRANT CREATE ON DATABASE %I TO supabase_auth_admin', current_database()) \gexec
CREATE SCHEMA IF NOT EXISTS auth AUTHORIZATION supabase_auth_admin;
