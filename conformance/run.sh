#!/usr/bin/env bash
# Lets suites that others wrote judge bin/meibo: Microsoft's public Postman collection and scim2-tester for SCIM, Schemathesis
# for the API.
#
# usage: POSTMAN_COLLECTION=PATH conformance/run.sh
#
# Their tools are installed once, in exact versions, into CONFORMANCE_CACHE (default ~/.cache/meibo). Each suite gets a
# tenant of its own on one server that lives as long as this script.
set -euo pipefail

: "${POSTMAN_COLLECTION:?names the file of the collection of github.com/AzureAD/SCIMReferenceCode, PostmanCollection.json}"
collection=$(realpath -e "$POSTMAN_COLLECTION")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
meibo=$here/../bin/meibo
cache=${CONFORMANCE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/meibo}

# cached DIR-PREFIX LOCK-FILE prints a folder whose name changes with the lock file.
cached() { echo "$cache/$1-$(sha256sum "$2" | cut -c 1-16)"; }

install_newman() {
	newman=$(cached newman "$here/package-lock.json")
	[[ -e $newman/complete ]] && return
	mkdir -p "$newman"
	cp "$here/package.json" "$here/package-lock.json" "$newman"
	npm ci --prefix "$newman" --no-audit --no-fund --loglevel=error
	touch "$newman/complete"
}

install_scim2_tester() {
	scim2=$(cached scim2-tester "$here/requirements.txt")
	# An environment breaks when its interpreter is upgraded away.
	[[ -e $scim2/complete ]] && "$scim2/bin/python" -c 'import scim2_tester' 2>/dev/null && return
	python3 -m venv --clear "$scim2"
	"$scim2/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
	touch "$scim2/complete"
}

install_schemathesis() {
	schemathesis=$(cached schemathesis "$here/schemathesis.txt")
	[[ -e $schemathesis/complete ]] && "$schemathesis/bin/python" -c 'import schemathesis' 2>/dev/null && return
	python3 -m venv --clear "$schemathesis"
	"$schemathesis/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/schemathesis.txt"
	touch "$schemathesis/complete"
}

# start_server serves in the background and returns once it is ready; its log goes to the work folder.
start_server() {
	"$meibo" serve 2>"$work/server.log" >&2 &
	server=$!
	if ! curl --silent --fail --output /dev/null --retry 60 --retry-connrefused --retry-delay 1 --retry-max-time 60 \
		"$MEIBO_PUBLIC_URL/readyz"; then
		echo "the server is not ready:" >&2
		tail -n 20 "$work/server.log" >&2
		exit 1
	fi
}

finish() {
	local status=$?
	if [[ -n ${server:-} ]]; then
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	if ((status)); then
		echo "conformance failed; what the server had to say, requests aside:" >&2
		grep -v '"level":"info"' "$work/server.log" | tail -n 20 >&2 || true
	fi
	rm -rf "$work"
}

work=$(mktemp -d)
trap finish EXIT
install_newman
install_scim2_tester
install_schemathesis

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export MEIBO_LISTEN=127.0.0.1:$port MEIBO_PUBLIC_URL=http://127.0.0.1:$port
export MEIBO_DATABASE_URL=sqlite:$work/meibo.db MEIBO_RATE_LIMIT=0

"$meibo" migrate
for tenant in postman scim2 api; do
	"$meibo" tenant create "$tenant" >&2
done
# What the collection expects of its server, beyond the RFC.
"$meibo" connection set --tenant postman --name default \
	--patch-response none --unknown-members keep --unique-group-names=false >&2
start_server

# suite TENANT COMMAND… runs one suite with the tenant's token in its environment.
suite() {
	local tenant=$1
	shift
	echo "== $tenant"
	SCIM_TOKEN=$("$meibo" token create --tenant "$tenant" --connection default) "$@" "$MEIBO_PUBLIC_URL/t/$tenant/scim/v2"
}

# api_suite has Schemathesis make up requests, good and bad ones, from the document that the server hands out.
api_suite() {
	echo "== api"
	local key
	key=$("$meibo" key create --tenant api --role owner --holder conformance) &&
		"$meibo" import --tenant api --connection default --apply "$here/staff.csv" >&2 &&
		curl --silent --fail --header "Authorization: Bearer $key" --output "$work/openapi.json" "$MEIBO_PUBLIC_URL/api/v1/openapi.json" &&
		(cd "$work" && "$schemathesis/bin/st" --config-file "$here/schemathesis.toml" run openapi.json --url "$MEIBO_PUBLIC_URL/api/v1" \
			--header "Authorization: Bearer $key" --exclude-operation-id revokeKey --exclude-operation-id followLog \
			--max-examples "${SCHEMATHESIS_EXAMPLES:-10}" --seed "${SCHEMATHESIS_SEED:-1}" --warnings off)
}

# All run, whatever the first one finds.
failed=
NODE_PATH=$newman/node_modules suite postman node "$here/postman.cjs" "$collection" || failed+=" postman"
suite scim2 "$scim2/bin/python" "$here/scim2.py" || failed+=" scim2"
api_suite || failed+=" api"
if [[ -n $failed ]]; then
	echo "conformance: failed:$failed" >&2
	exit 1
fi
