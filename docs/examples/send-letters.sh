#!/bin/sh
# send-letters LETTERS SENT: mail each letter of one directory that is not in the other as it is.
umask 077
mkdir -p "$2" || exit
status=0
for letter in "$1"/*.txt; do
    sent="$2/${letter##*/}"
    cmp -s "$letter" "$sent" && continue
    if msmtp -t -i < "$letter"; then
        cp "$letter" "$sent.new" && mv "$sent.new" "$sent" || status=1
    else
        echo "$letter was not sent" >&2
        status=1
    fi
done
exit "$status"
