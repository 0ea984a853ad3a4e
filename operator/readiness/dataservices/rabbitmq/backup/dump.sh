#!/bin/sh
# Has the first member that answers export its definitions into /backup/definitions.json, and says of whom and when.
# Needs erl and the usual few tools. The password goes from its file into a header, and into nothing else.
set -u

give_up() {  # REASON MESSAGE
  printf '{"reason":"%s","message":"%s"}' "$1" "$2" | tee /dev/termination-log >&2
  exit 1
}

export HOST HOME=/tmp ERL_CRASH_DUMP_SECONDS=0
from='' refused=''
for HOST in $MEMBERS; do
  began=$(date +%s)
  rm -f /backup/definitions.json  # the client appends to what another member began
  said=$(erl -noinput -eval 'file:eval("/scripts/fetch.erl"), io:format("not asked"), halt(1).') && from=${HOST%%.*} && break
  echo "${HOST%%.*}: $said" >&2
  case $said in status*) refused="${HOST%%.*} answered with $said" ;; esac
done
[ -n "$from" ] || [ -z "$refused" ] || give_up DumpFailed "the management API of $refused${NEEDS:+: $NEEDS}"
[ -n "$from" ] || give_up NoMember "no member answers that could export its definitions"
[ -s /backup/definitions.json ] || give_up DumpFailed "$from exported nothing"
version=$(sed -n 's/.*"rabbitmq_version":"\([^"]*\)".*/\1/p' /backup/definitions.json)
printf '{"member":"%s","server":"%s","began":%s,"ended":%s}\n' "$from" "$version" "$began" "$(date +%s)" > /backup/source.json
