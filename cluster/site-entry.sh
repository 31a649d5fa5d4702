#!/bin/sh
# Entry of the site's container: `serve`, or another command of `genome-eu site` on this site, as in
#   docker exec genome-eu-site site-entry review
#   docker exec genome-eu-site site-entry approve 3f2a91 --answer 9c1d
set -eu

settings=${GENOME_EU_SITE:-/site/site.toml}
secret=/run/secrets/passphrase
# Held answers, scores and ledger are for this user alone.
umask 077

if [ -z "${GENOME_EU_PASSPHRASE_FILE:-}" ] && [ -r "$secret" ]; then
    export GENOME_EU_PASSPHRASE_FILE="$secret"
fi

command=${1:-serve}
[ $# -eq 0 ] || shift
case $command in
    # exec: the daemon itself gets SIGTERM, and finishes the plan in hand.
    serve | review | log | status) exec genome-eu site "$command" "$settings" "$@" ;;
    approve | refuse) exec genome-eu site "$command" --site "$settings" "$@" ;;
    *) exec genome-eu "$command" "$@" ;;
esac
