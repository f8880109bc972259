#!/bin/bash
# Runs each target (or those named) for FUZZ_SECONDS, seeded from the corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
media="${OVERDUB_CORPUS:-../shared/media}"
playlists="${OVERDUB_PLAYLISTS:-$media/../playlists}"
seconds="${FUZZ_SECONDS:-600}"
read -ra targets <<<"${*:-ts fmp4 adts playlists socketio rtmp}"

# Seeds: heads of files, small enough to be mutated quickly.
seed() { # target, bytes, files...
    local folder="fuzz/corpus/$1" bytes="$2" file
    shift 2
    mkdir -p "$folder"
    for file in "$@"; do
        [[ -f "$file" ]] && head -c "$bytes" "$file" >"$folder/$(sha256sum <<<"$file" | head -c 16)"
    done
    return 0
}
shopt -s nullglob globstar
seed ts 30080 "$media"/**/*.ts
seed fmp4 65536 "$media"/**/*.mp4 "$media"/**/*.m4s
for init in "$media"/**/*init*.mp4; do
    mkdir -p fuzz/corpus/fmp4
    for segment in "$(dirname "$init")"/*.m4s; do
        cat "$init" <(head -c 32768 "$segment") >"fuzz/corpus/fmp4/$(sha256sum <<<"$segment" | head -c 16)-whole"
        break
    done
done
seed adts 8192 "$media"/**/*.aac "$media"/**/*.mp3
seed playlists 65536 "$media"/**/*.m3u8 "$playlists"/**/*.m3u8
mkdir -p fuzz/corpus/{ts,fmp4,adts,playlists,socketio,rtmp}
printf '0{"sid":"a","pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}\n' >fuzz/corpus/socketio/open
printf '451-["fragment:processed",{"fragment":{"id":"a-0"},"data":{"_placeholder":true,"num":0}}]\nbytes' >fuzz/corpus/socketio/event

for target in "${targets[@]}"; do
    echo "== $target for $seconds s"
    cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -max_len=131072
done
