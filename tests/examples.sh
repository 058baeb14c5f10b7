#!/usr/bin/env bash
# Runs every example and compares what it prints with what it must print.
set -euo pipefail
cd "$(dirname "$0")/.."

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cargo build --release --locked --examples --bin procession
bin=target/release

passed=0
# same NAME EXPECTED COMMAND...: what the command prints on stdout is exactly that.
same() {
    local name="$1" expected="$2"
    shift 2
    if ! timeout 120 "$@" >"$work/out" 2>"$work/err"; then
        echo "FAILED: $name"
        cat "$work/out" "$work/err"
        exit 1
    fi
    if ! diff <(printf '%s\n' "$expected") "$work/out"; then
        echo "FAILED: $name prints something else"
        cat "$work/err"
        exit 1
    fi
    echo "ok: $name"
    passed=$((passed + 1))
}

same ping_pong "ping hit 5000 balls, pong hit 5000
three processes: true" "$bin/examples/ping_pong"

same crash "84 / 2 = 42
a panic ends the actor: the handler panicked: I can't do this; verdict Failed
and its process restarts it: 84 / 2 = 42
a segfault ends the process: process maths #1 killed by SIGSEGV (it may have been executed); verdict Unknown
and the root restarts it: 84 / 2 = 42" "$bin/examples/crash"

same introductions 'by the desk'"'"'s: ["page 2", "page 3", "not printed: the address was good for 2 messages, and so many were sent (not executed)"]
by a guess: ["not printed: the address of 1/0 was made up or changed, or is of another run of the topology: it gives no right to send (not executed)"]
by the root'"'"'s own: ["page 1"]
taken back: true
and then: ["not printed: the address of 0#1/+1 was revoked (not executed)"]' "$bin/examples/introductions"

same groups "100 books on 3 shelves
2 shelves answer, 1 does not
books and burnt ones are all: true
each finds a shelf meanwhile: true
and its own once that is back: true" "$bin/examples/groups"

same state "paid 30, total Ok(30)
process shop #1 killed by SIGABRT (it may have been executed)
paid 12, total Ok(42)
noted [\"before\", \"after\"]" "$bin/examples/state"

same monitor "a panic:
  step 1
  step 2
  step 3
  actor worker is down: it panicked: out of luck
the end of its process:
  step 1
  step 2
  step 3
  actor worker is down: its process exited with code 7
nobody:
  actor nobody is down: nobody here knows the name \"nobody\"" "$bin/examples/monitor"

same pool_at_run_time "25 primes
168 primes
1229 primes
3 started; the boss dies: true
1 more started, 4 in the pool: 4 primes
4 processes run" "$bin/examples/pool_at_run_time"

same objects_over_pipes "0 1 4 9 16 25 36 49 64 81" "$bin/examples/objects_over_pipes"

# runs NAME WANTED COMMAND...: the command ends well and says, among other things, that.
runs() {
    local name="$1" wanted="$2"
    shift 2
    if ! timeout 120 "$@" >"$work/out" 2>"$work/err" || ! grep -qF -- "$wanted" "$work/out"; then
        echo "FAILED: $name"
        cat "$work/out" "$work/err"
        exit 1
    fi
    echo "ok: $name"
    passed=$((passed + 1))
}

runs pipes_pool "its job was done by another" "$bin/examples/pipes_pool"
runs pipes_third_process '"an end" has 5 letters' "$bin/examples/pipes_third_process"
runs chaos '"transfers_lost": 0' "$bin/examples/chaos" --seconds 3 --seed 7 --json
same stream "10: line 10 ten
20: line 20 ten
30: line 30 ten
enough; the reader had read no more than 50 of 100000 lines
all: 10000 lines
a typed error: /nowhere: No such file or directory (os error 2)" "$bin/examples/stream"
same http_workers 'requests answered over 40 connections, by process: {"four": 10, "one": 10, "three": 10, "two": 10}' "$bin/examples/http_workers"
runs trace "    handle bank Order" "$bin/examples/trace"
runs blob "256 MiB went through all three" "$bin/examples/blob"
if command -v python3 >/dev/null; then
    runs pipes_python "3145728 bytes went to Python and came back" "$bin/examples/pipes_python"
fi

# The word count, against the tools that every Unix has, on this project's own files and on hostile ones.
folder="$work/input"
mkdir "$folder"
cp -r src docs examples Cargo.lock "$folder"
printf 'no newline at the end' >"$folder/one"
printf 'No Newline At The END\xff\xfeand bytes\x00that are no text' >"$folder/two"
: >"$folder/empty"
# Sorted pipes may be closed early by head, which pipefail would take for a failure.
words() { find "$folder" -type f -exec sh -c 'for f; do cat "$f"; echo; done' _ {} + | LC_ALL=C tr -cs 'A-Za-z0-9' '\n' | LC_ALL=C tr A-Z a-z | grep .; }
words | LC_ALL=C sort | uniq -c | awk '{ print $1, $2 }' | LC_ALL=C sort -k1,1nr -k2,2 >"$work/counts"
total="$(awk '{ sum += $1 } END { print sum }' "$work/counts")"
distinct="$(wc -l <"$work/counts")"
top="$(sed -n '1,10p' "$work/counts" | awk '{ printf "%s[\"%s\",%s]", (NR > 1 ? "," : ""), $2, $1 }')"
files="$(find "$folder" -type f | wc -l)"
bytes="$(find "$folder" -type f -exec cat {} + | wc -c)"
expected="{\"files\":$files,\"unreadable\":0,\"bytes\":$bytes,\"words\":$total,\"distinct\":$distinct,\"processes\":8,\"seconds\":S,\"top\":[$top]}"
count() { "$bin/examples/wordcount" "$folder" --workers 4 --counters 2 --json | sed -E 's/"seconds":[0-9.e-]+/"seconds":S/'; }
export -f count
export bin folder
same wordcount "$expected" bash -euo pipefail -c count
# More than once, since what can overtake does not always.
for shape in "1 1" "2 3" "8 1" "4 2" "8 8" "2 3" "4 2" "8 8"; do
    read -r workers counters <<<"$shape"
    totals() { "$bin/examples/wordcount" "$folder" --workers "$1" --counters "$2" --json | grep -o '"words":[0-9]*,"distinct":[0-9]*'; }
    export -f totals
    same "wordcount with $workers workers and $counters counters" "\"words\":$total,\"distinct\":$distinct" \
        bash -euo pipefail -c 'totals "$@"' totals "$workers" "$counters"
done

echo "$passed passed, 0 failed"
