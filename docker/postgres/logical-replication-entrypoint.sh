#!/bin/bash
# Adds the settings that logical replication needs, then hands over to the image's own entrypoint.
# At start and not in a configuration file, so that a data directory of an earlier version of this image gets them too.
# They come first: a setting on the command line wins over them.
set -euo pipefail

[ "${1:0:1}" = '-' ] && set -- postgres "$@"
if [ "${1:-}" = postgres ]; then
  shift
  settings=(-c wal_level=logical)
  # Newer minor releases refuse output plugins that this setting does not list; older ones refuse to start with it.
  if [[ $(postgres --describe-config) == *output_plugin_libraries* ]]; then
    settings+=(-c output_plugin_libraries=pgoutput,test_decoding,wal2json)
  fi
  set -- postgres "${settings[@]}" "$@"
fi
exec docker-entrypoint.sh "$@"
