"""Which part of a delivery somebody wants: where it ends, what is taken from earlier rehearsals, what runs anyway."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from local.errors import Refusal
from local.rehearsal.deployed import Action, Deployed
from local.rehearsal.results import Result, ResultStore, Wish
from local.rehearsal.results.dependencies import is_deployment

_NEED_NO_RESULT = frozenset({"CodeStarSourceConnection", "ECR", "Manual", "S3"})
"""What these providers do is done again without effort."""


def place(plan: Mapping[str, Deployed], text: str) -> tuple[str, str]:
    """Return the stack and the stage or action that ``NAME`` or ``STACK/NAME`` means: in the first stack that has it.

    Raises:
        Refusal: There is none.
    """
    stack, slash, name = text.rpartition("/")
    if slash and stack not in plan:
        raise Refusal(f"{text}: no stack {stack} is rehearsed here, only {' and '.join(plan)}")
    for each in [stack] if slash else plan:
        if name in _names(plan[each]):
            return each, name
    known = "; ".join(f"{each} has {', '.join(_names(deployed))}" for each, deployed in plan.items())
    raise Refusal(f"there is no stage or action {text}: {known}")


def up_to(plan: Mapping[str, Deployed], text: str) -> tuple[dict[str, Deployed], dict[str, str]]:
    """Return the stacks that are rehearsed when all ends after one stage or action, and where the last one ends.

    Args:
        plan: The stacks in the order in which a change travels.
        text: ``NAME`` or ``STACK/NAME``; empty for everything.

    Raises:
        Refusal: There is none of this name.
    """
    if not text:
        return dict(plan), {}
    last, name = place(plan, text)
    stacks = list(plan)
    return {stack: plan[stack] for stack in stacks[: stacks.index(last) + 1]}, {last: name}


def wishes(
    plan: Mapping[str, Deployed],
    results: ResultStore,
    *,
    fresh: bool = False,
    retry: bool = False,
    begin: str = "",
    only: str = "",
    keeps_services: bool = False,
) -> dict[str, Wish]:
    """Return which earlier results each stack takes.

    Args:
        plan: The stacks in the order in which a change travels.
        results: The earlier results.
        fresh: Take none.
        retry: Take what has succeeded in the last rehearsal, whatever has changed since.
        begin: Take everything before this stage or action, and run everything from it on.
        only: Take everything but this stage or action.
        keeps_services: Somebody looks at the services afterwards.

    Raises:
        Refusal: There is no such stage or action, or nothing to take.
    """
    if retry:
        if not results.continued:
            raise Refusal(
                f"--retry continues the last rehearsal of the same commit, and there was none of {results.commit[:7]}: "
                "rehearse without it; what has not changed is taken from earlier rehearsals anyway"
            )
        return {
            stack: Wish(given=_of(results.of_last_rehearsal, stack), keeps_services=keeps_services) for stack in plan
        }
    if not begin and not only:
        return {stack: Wish(fresh=fresh, keeps_services=keeps_services) for stack in plan}
    first, name = place(plan, begin or only)
    stacks = list(plan)
    before = {stack: plan[stack].actions for stack in stacks[: stacks.index(first)]}
    before[first] = _before(plan[first], name)
    taken = [
        (stack, action)
        for stack, actions in before.items()
        for action in actions
        if action.provider not in _NEED_NO_RESULT and not is_deployment(plan[stack], action)
    ]
    missing = [f"{stack}/{action.name}" for stack, action in taken if not results.of_commit(stack, action.name)]
    if missing:
        raise Refusal(
            f"{', '.join(missing)}: there is no earlier result for commit {results.commit[:7]}. Rehearse once without "
            f"--{'only' if only else 'from'}"
        )
    return {
        stack: Wish(
            given=_of(results.of_commit, stack),
            run={action.name for action in deployed.actions if action not in before.get(stack, ())},
            keeps_services=keeps_services,
        )
        for stack, deployed in plan.items()
    }


def _of(find: Callable[[str, str], Result | None], stack: str) -> Callable[[Action], Result | None]:
    return lambda action: find(stack, action.name)


def _names(deployed: Deployed) -> list[str]:
    return list(dict.fromkeys([*deployed.stages, *(action.name for action in deployed.actions)]))


def _before(deployed: Deployed, name: str) -> tuple[Action, ...]:
    """The actions that come before a stage or an action, or beside it."""
    groups = [group for groups in deployed.stages.values() for group in groups]
    here = next(place for place, group in enumerate(groups) if any(name in (each.stage, each.name) for each in group))
    return tuple(each for group in groups[: here + 1] for each in group if name not in (each.stage, each.name))
