"""The benchmarks: what the program costs, as ratios and exact counts.

`make bench` runs them all and prints a line or a small table for each, with its target. They are no
part of `make test`: they take minutes, and on a busy machine their times are noise.

    test_time.py       a first import, whole process: beside fetching alone, beside a plain script,
                       and beside the least that a slow Crisp allows
    test_requests.py   how many requests a full, a second full and an incremental run make
    test_matching.py   matching 100,000 conversations anew, and 50 of them
    test_memory.py     the peak of memory as a website grows
    test_drift.py      what is lost while rows change under the reader, here and the usual way
    test_intake.py     hooks taken a second and how long the slowest wait; the memory of large bodies
    test_apply.py      hooks applied a second from a full inbox
    test_delay.py      how long from a hook's arrival to the page that shows it
    test_pages.py      how quickly each page and search answers on 2,000,000 messages
    test_changes.py    the change feed under eight writers: 100,000 changes, none lost, none twice
    test_words.py      what keeping the words for the search costs a full pull
    test_kills.py      kill -9, thirty times in one import: the rows afterwards and what was asked twice

Yardsticks, each written as one would write the simple version:

    fetch_only.py      asks for the same answers and parses them, nothing else
    plain_script.py    asks for everything and upserts answer by answer
    forward_cursor.py  pages forward and remembers the newest date it has seen
    plain_intake.py    a FastAPI route that commits each hook by itself (send_hooks.py sends to both)
    apply_inbox.py     applies what waits; with `plain`, each hook in a transaction of its own

How a time is measured: everything is a process of its own, from its start to its end. What is
compared runs in turns (A B C, A B C, …) in one run on one machine; of each round the ratio is taken,
and of those the median. Seconds are printed to give an idea, only ratios are compared with a target.
A benchmark fails when even its best round is a quarter above the target; when others kept the machine
busy, which shows in the yardstick, it says so and does not fail. What is counted (requests, rows) is
exact and always enforced.

    make bench ARGS='-k requests'            one of them
    BENCH_ROUNDS=5 BENCH_SEEDS=200 BENCH_LONG=1 make bench     more rounds, more seeds, 50,000 conversations
"""
