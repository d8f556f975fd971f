#!/bin/sh
# Makes the database and its two logins: tillbook owns it and migrates it, and sees what
# "tillbook doctor" looks at;
# tillbook_server serves, and has only the rights of tillbook_app.
set -eu
psql -qX -v ON_ERROR_STOP=1 -d "$1" <<SQL
SET synchronous_commit = local;
CREATE ROLE tillbook LOGIN CREATEROLE PASSWORD '{{.Owner}}';
CREATE ROLE tillbook_app NOLOGIN;
GRANT tillbook_app TO tillbook WITH ADMIN OPTION;
GRANT pg_monitor TO tillbook;
CREATE ROLE tillbook_server LOGIN IN ROLE tillbook_app PASSWORD '{{.Server}}';
CREATE DATABASE tillbook OWNER tillbook;
SQL
