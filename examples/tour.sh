#!/usr/bin/env bash
# Five minutes with usher's API: register, meet an error, sign in, read, change, sign out, delete.
#
#     examples/tour.sh [URL]     a running usher; otherwise $USHER_URL, or http://127.0.0.1:8080
#
# Every step prints its request and the answer with shortened secrets, and checks the answer. The tour ends with status 1
# at the first unexpected answer. It creates an account, and deletes it at the end.
set -euo pipefail

url=${1:-${USHER_URL:-http://127.0.0.1:8080}}
api=${url%/}/api/v1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/headers" "$work/body"

random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

name=tour-$(random 4)
email=$name@example.com
password=$(random 12)
token=

fail() {
    echo "tour: $*" >&2
    exit 1
}

# Secrets are shown by their first characters.
shorten() {
    local text
    text=$(cat)
    sed -E 's/(ush_[0-9A-Za-z]{4})[0-9A-Za-z]+/\1.../g' <<<"${text//$password/${password:0:4}...}"
}

# call STATUS METHOD PATH [JSON [HEADER]]
# Sends a request, with the token if there is one, and continues if the answer has that status.
call() {
    local expected=$1 method=$2 path=$3 json=${4:-} header=${5:-}
    local sent=(--request "$method") shown="curl -i -X $method"
    request="$method $path"
    # Everyone on the machine can read a program's arguments: the token goes by file, the body by standard input.
    if [[ -n $token ]]; then
        echo "Authorization: Bearer $token" >"$work/token"
        sent+=(--header "@$work/token")
        shown+=" -H 'Authorization: Bearer $token'"
    fi
    if [[ -n $header ]]; then
        sent+=(--header "$header")
        shown+=" -H '$header'"
    fi
    if [[ -n $json ]]; then
        sent+=(--header 'Content-Type: application/json' --data @-)
        shown+=" -H 'Content-Type: application/json' -d '$json'"
    fi
    echo
    echo "\$ $shown $api$path" | shorten

    local status
    : >"$work/body" # curl leaves it alone where the answer has no body
    status=$(curl --silent --max-time 30 --write-out '%{http_code}' --dump-header "$work/headers" \
        --output "$work/body" "${sent[@]}" "$api$path" <<<"$json") || fail "$request: no answer from $url; is usher running there?"
    tr -d '\r' <"$work/headers" | grep -iE '^(HTTP/|location:|etag:|www-authenticate:)' || true
    if [[ -s $work/body ]]; then shorten <"$work/body"; fi
    expect status "$expected" "$status"
}

# expect WHAT EXPECTED ACTUAL
expect() { [[ $3 == "$2" ]] || fail "$request: $1 should be '$2', but is '$3'"; }

# A header of the last answer.
header() { grep -i "^$1:" "$work/headers" | cut -d' ' -f2- | tr -d '\r' || true; }

# A field of the last answer, at any depth. This is enough for the tour; otherwise use a JSON parser such as jq.
field() {
    grep -oE "\"$1\": *(\"[^\"]*\"|[^\",}]+)" "$work/body" | head -n 1 | sed -E 's/^[^:]+: *//; s/^"(.*)"$/\1/' || true
}

sign_in() {
    call 200 POST /auth/login "{\"email\":\"$email\",\"password\":\"$password\"}"
    expect token_type Bearer "$(field token_type)"
    token=$(field token)
}

printf '\n== Register. The account gets a permanent id. The Location header is its path.\n'
call 201 POST /users "{\"username\":\"$name\",\"email\":\"$email\",\"password\":\"$password\"}"
id=$(field id)
expect username "$name" "$(field username)"
expect role user "$(field role)"
expect Location "/api/v1/users/$id" "$(header location)"

printf '\n== Every error has this form, and reports all invalid fields at once.\n'
call 400 POST /users '{"username":"no spaces","email":"nowhere","password":"123","nickname":"tourist"}'
expect code validation_failed "$(field code)"
for faulty in username email password nickname; do
    [[ -n $(field "$faulty") ]] || fail "$request: details should name '$faulty'"
done

printf '\n== Sign in. The token is shown only once.\n'
sign_in
expect id "$id" "$(field id)"

printf '\n== Read: who am I?\n'
call 200 GET /auth/me
expect id "$id" "$(field id)"

printf '\n== The same account by its id. The ETag holds its revision.\n'
call 200 GET "/users/$id"
expect email "$email" "$(field email)"
tag=$(header etag)

printf '\n== Change the username, if nobody has changed the account in the meantime.\n'
call 200 PUT "/users/$id" "{\"username\":\"$name-renamed\"}" "If-Match: $tag"
expect username "$name-renamed" "$(field username)"
[[ $(header etag) != "$tag" ]] || fail "$request: the ETag should change with the account"

printf '\n== With the old ETag, the next change is refused: the account has changed.\n'
call 412 PUT "/users/$id" "{\"username\":\"$name-again\"}" "If-Match: $tag"
expect code precondition_failed "$(field code)"

printf '\n== Sign out. The token no longer works.\n'
call 200 POST /auth/logout
call 401 GET /auth/me
expect code invalid_token "$(field code)"
expect WWW-Authenticate 'Bearer error="invalid_token"' "$(header www-authenticate)"

printf '\n== Sign in again, and delete the account. Its sessions end with it.\n'
token=
sign_in
call 204 DELETE "/users/$id"
call 401 GET /auth/me

printf '\nThe tour is complete: every answer was as expected.\n'
