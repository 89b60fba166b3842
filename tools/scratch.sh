#!/bin/sh
# Prints the folder where tests keep their databases. There are hundreds of small ones, which are flushed at each commit and
# removed soon: memory does that in a fifth of a disk's time. Without enough of it, or where nothing there may be executed,
# it is the folder that there is anyway. No test pulls a plug: what is flushed is as durable for them in memory.
free=$(df -kP /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
if [ "${free:-0}" -gt 4000000 ] && [ -w /dev/shm ] && awk '$2 == "/dev/shm" && $3 == "tmpfs" && $4 !~ /noexec/ { found = 1 } END { exit !found }' /proc/mounts; then
	echo /dev/shm
else
	echo "${TMPDIR:-/tmp}"
fi
