#!/usr/bin/env bash
# The stories of processes, again and again, while another program keeps every core busy: whatever holds on a quiet
# machine alone does not hold. `bash tests/under_load.sh 20`, or with the names of test programs: `... 20 process`.
set -euo pipefail
cd "$(dirname "$0")/.."

runs="${1:-20}"
shift || true
programs=("$@")
[ "${#programs[@]}" -gt 0 ] || programs=(process supervision)

binaries=()
for program in "${programs[@]}"; do
    built="$(cargo test --locked --no-run --test "$program" 2>&1)" || { echo "$built"; exit 1; }
    binaries+=("$(grep -o "target/debug/deps/$program-[0-9a-f]*" <<<"$built")")
done

work="$(mktemp -d)"
busy=()
finish() {
    for pid in "${busy[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
for _ in $(seq "$(nproc)"); do
    sh -c 'while :; do :; done' &
    busy+=("$!")
done

passed=0
for run in $(seq "$runs"); do
    for binary in "${binaries[@]}"; do
        if ! "./$binary" >"$work/out" 2>"$work/err"; then
            echo "FAILED: run $run of $(basename "$binary")"
            cat "$work/out" "$work/err"
            echo "$passed passed, 1 failed"
            exit 1
        fi
        passed=$((passed + 1))
        echo "run $run, $(basename "$binary"): $(grep '^test result' "$work/out")"
    done
done
echo "$passed passed, 0 failed"
