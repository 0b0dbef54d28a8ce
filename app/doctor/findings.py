"""Each cause in one place: its sentence and its remedy. The evidence is put in where it is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Cause(NamedTuple):
    sentence: str
    remedy: str


CAUSES: Mapping[str, Cause] = {
    "no_credential": Cause(
        "There is no Crisp credential, so nothing is read.",
        "Enter it under Settings, Credential, or set CRISP_IDENTIFIER and CRISP_KEY.",
    ),
    "not_decryptable": Cause(
        "Something stored cannot be decrypted with this SECRET_KEY.",
        "Enter the credential again under Settings, Credential, or set the SECRET_KEY with which it "
        "was stored.",
    ),
    "credential_rejected": Cause(
        "Crisp rejects the plugin's credential.",
        "Take the production token from Crisp's Marketplace (your plugin, Tokens) and enter it again.",
    ),
    "crisp_unreachable": Cause(
        "Crisp cannot be reached from here.",
        "Look at the network and at status.crisp.chat; runs go on by themselves when Crisp is back.",
    ),
    "scope_missing": Cause(
        "Crisp refuses a route for which the token lacks a scope.",
        "Tick the scope in Crisp's Marketplace (your plugin, Tokens, Scopes); the next run goes on.",
    ),
    "quota_used_up": Cause(
        "The day's requests to Crisp are used up.",
        "Nothing: it goes on by itself. For more, ask Crisp in the Marketplace, and raise "
        "CRISP_DAILY_QUOTA.",
    ),
    "signature_failing": Cause(
        "Hooks arrive whose signature is not right, and are refused.",
        "Enter the signing secret of this environment again (Marketplace, your plugin, Events); "
        "development and production have one each.",
    ),
    "no_signing_secret": Cause(
        "No signing secret is known, so every hook is refused.",
        "Enter the signing secret under Settings, Credential, or set CRISP_SIGNING_SECRET.",
    ),
    "hooks_not_arriving": Cause(
        "No hooks arrive from a website that should send some.",
        "See in Crisp's Marketplace (your plugin, Events) that the hook address and the events are "
        "as on the setup page; what was missed is read by the next sync.",
    ),
    "worker_not_running": Cause(
        "No process works, so nothing is pulled and no hook is applied.",
        "Start crispsync worker, or crispsync serve without REDIS_URL.",
    ),
    "database_behind": Cause(
        "The database is at an older revision than this program.",
        "Run crispsync migrate; serve and worker do it when they start.",
    ),
    "clock_off": Cause(
        "A clock is wrong.",
        "Set this machine's clock by NTP; versions and windows are safe meanwhile, times shown are not.",
    ),
    "not_https": Cause(
        "PUBLIC_URL is no https address: Crisp sends hooks and opens the settings page by https only.",
        "Put a proxy with a certificate in front, and set PUBLIC_URL to its address.",
    ),
    "website_unknown": Cause(
        "Hooks arrive for a website id that is not known here.",
        "Connect that website, or see whether another installation shares this hook address; after "
        "24 hours they are dropped.",
    ),
    "uninstalled": Cause(
        "The plugin is not installed on this website any more; its data is kept and not updated.",
        "Install it again in Crisp; it then goes on with what is kept.",
    ),
    "disconnected": Cause(
        "This website is disconnected here; its data is kept and not updated.",
        "Connect it again under Settings, Connection.",
    ),
    "waiting": Cause(
        "This website waits for its first import; its hooks are stored and not applied.",
        "Trigger the first import under Settings, Connection.",
    ),
    "paused": Cause(
        "The connection of this website is paused; its hooks are stored and not applied.",
        "Resume it under Settings, Connection.",
    ),
    "conversations_off": Cause(
        "Conversations are switched off for this website.",
        "Switch them on under Settings, What is imported, if that is not meant.",
    ),
    "people_off": Cause(
        "People are switched off for this website.",
        "Switch them on under Settings, What is imported, if that is not meant.",
    ),
    "dead_letters": Cause(
        "Web hooks arrived that could not be applied.",
        "Read their reason under Events, mend it, and have them applied again there.",
    ),
    "drift_found": Cause(
        "The last audit found something that differed from Crisp, and repaired what it could.",
        "See on the audit's page what differed and which path should have brought it.",
    ),
    "disk_low": Cause(
        "The disk is nearly full: soon hooks are answered 503 and nothing is stored.",
        "Make room, or give the volume more; everything goes on by itself then.",
    ),
    "redis_away": Cause(
        "Redis does not answer.",
        "Start it, or correct REDIS_URL; work goes on meanwhile, what is asked for begins within seconds.",
    ),
    "redis_refuses": Cause(
        "Redis takes no writes.",
        "Give it more memory, or point REDIS_URL at the primary; work goes on meanwhile, what is asked "
        "for begins within seconds.",
    ),
    "redis_evicts": Cause(
        "Redis may drop what waits in it when its memory is full.",
        "Set its maxmemory-policy to noeviction. Nothing is lost: work stands in the database, and is "
        "looked for every two seconds.",
    ),
    "erased_list": Cause(
        "The list of erased people outside the database cannot be written: nobody can be erased.",
        "Give the user of crispsync the right to write it (ERASED_FILE), or make room on its disk.",
    ),
    "run_failed": Cause(
        "The last sync of this website did not finish.",
        "Read its reason on its page, mend it, and start it again.",
    ),
}
MEANT = frozenset({"conversations_off", "people_off", "paused", "waiting", "disconnected"})
"""States that somebody chose: told, but nothing is broken."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`website_id` None for the whole deployment."""

    cause: str
    evidence: str
    website_id: str | None = None

    @property
    def sentence(self) -> str:
        return CAUSES[self.cause].sentence

    @property
    def remedy(self) -> str:
        return CAUSES[self.cause].remedy

    @property
    def is_fault(self) -> bool:
        return self.cause not in MEANT
