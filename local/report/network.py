"""Who may reach what over the network that may not reach it now: the rules of security groups."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from local.engine.outcome import State, Step
from local.engine.values import UNKNOWN
from local.report.findings import UNKNOWN_BEFORE_UP, Finding, Section, code
from local.report.preview import Preview

_INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
_SOURCES = ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId", "prefixListId")
_DECISIVE = (*_SOURCES, "securityGroupId", "ipProtocol", "fromPort", "toPort")
_EVERYBODY = ("0.0.0.0/0", "::/0")
_ALL = "-1"


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule that admits somebody: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html."""

    group: str
    source: str
    protocol: str
    first: int
    last: int

    def covers(self, other: _Rule) -> bool:
        """Return whether everything that the other one admits is admitted by this one."""
        return (
            self.group == other.group
            and self.protocol in {_ALL, other.protocol}
            and (self.protocol == _ALL or self.first <= other.first <= other.last <= self.last)
            and (self.source == other.source or _within(other.source, self.source))
        )


def network(preview: Preview) -> Iterator[Finding]:
    """Yield who is admitted that was not; of a stack that is new, nobody."""
    names = {state.id: step.name for step in preview.steps if (state := step.old) and state.id}
    before = [rule for step in preview.steps for rule in _rules(step, step.old)]
    for step in [] if preview.is_new else preview.steps:
        if step.type == _INGRESS and step.op != "same" and step.new:
            if UNKNOWN in [step.new.inputs.get(name) for name in _DECISIVE]:
                words = f"Whom the rule {code(step.name)} admits is {UNKNOWN_BEFORE_UP}."
                yield Finding(Section.PERMISSIONS, words, broadens=True)
                continue
            for rule in _rules(step, step.new):
                if not any(old.covers(rule) for old in before):
                    yield Finding(Section.PERMISSIONS, _words(rule, step, before, names), broadens=True)


def _rules(step: Step, state: State | None) -> Iterable[_Rule]:
    if step.type != _INGRESS or state is None:
        return []
    given = state.inputs
    source = next((str(given[name]) for name in _SOURCES if given.get(name)), "")
    protocol = str(given.get("ipProtocol"))
    ports = (int(given.get(name, -1)) for name in ("fromPort", "toPort"))
    return [_Rule(str(given.get("securityGroupId")), source, protocol, *ports)]


def _within(inner: str, outer: str) -> bool:
    try:
        first, second = ipaddress.ip_network(inner), ipaddress.ip_network(outer)
    except ValueError:
        return False
    return first.version == second.version and first.subnet_of(second)  # type: ignore[arg-type]  # the same version


def _words(rule: _Rule, step: Step, before: Iterable[_Rule], names: Mapping[str, str]) -> str:
    who = "Everybody" if rule.source in _EVERYBODY else code(rule.source)
    ports = f"{rule.first}" if rule.first == rule.last else f"{rule.first}-{rule.last}"
    where = "every port" if rule.protocol == _ALL or rule.first < 0 else f"{rule.protocol} {ports}"
    same = [each for each in before if each.group == rule.group and each.protocol == rule.protocol]
    so_far = f": so far {code(same[0].source)} on {same[0].first}" if len(same) == 1 and step.old else ""
    return f"{who} may now reach {code(names.get(rule.group, rule.group))} on {where}{so_far} ({code(step.name)})."
