"""Runs scim2-tester and fails on any error, and on any check skipped although the server announces the feature.

usage: SCIM_TOKEN=… python scim2.py BASE-URL
"""

import collections
import os
import sys

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import CheckResult, Status, check_server

# A skipped check is a failure unless it is here, with the reason why no announcement of ours is left untested.
EXPECTED_SKIPS = {
    "search_with_attributes": "POST /.search is optional, answered with 501, and no discovery document can announce it",
}

# Each announced resource type must have passed at least one check of each of these.
NEEDED_CHECKS = {
    "object_creation",
    "object_query",
    "object_query_without_id",
    "object_query_with_attributes",
    "object_list_with_attributes",
    "object_replacement",
    "object_deletion",
    "check_add_attribute",
    "check_remove_attribute",
    "check_replace_attribute",
}
NEEDED_TYPES = ("User", "Group")


def is_failure(result: CheckResult) -> bool:
    if result.status == Status.SKIPPED:
        return result.title not in EXPECTED_SKIPS
    return result.status in (Status.ERROR, Status.CRITICAL, Status.DEVIATION)


def missing_checks(results: list[CheckResult]) -> list[str]:
    passed = collections.defaultdict(set)
    for result in results:
        if result.status in (Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE):
            passed[result.resource_type].add(result.title)
    return [
        f"{resource_type}: {check} never passed"
        for resource_type in NEEDED_TYPES
        for check in sorted(NEEDED_CHECKS - passed[resource_type])
    ]


def main() -> int:
    base_url = sys.argv[1]
    headers = {"Authorization": f"Bearer {os.environ['SCIM_TOKEN']}"}
    with httpx2.Client(base_url=base_url, headers=headers, timeout=30) as http:
        results = check_server(SyncSCIMClient(http))

    problems = missing_checks(results)
    for result in results:
        if result.status != Status.SUCCESS:
            print(f"{result.status.name} {result.resource_type or ''} {result.title}: {result.reason}")
        if is_failure(result):
            problems.append(f"{result.status.name} {result.resource_type or ''} {result.title}")
            if result.data is not None:
                print(f"  {result.data}")
    counts = collections.Counter(result.status.name.lower() for result in results)
    print("scim2-tester:", ", ".join(f"{number} {name}" for name, number in sorted(counts.items())))
    for problem in problems:
        print(f"scim2-tester: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
