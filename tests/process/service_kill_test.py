"""`anchorage serve`, killed at any moment while edits arrive: none that was accepted is lost.

    service_kill_test.py PROGRAM MODEL STATISTICS [KILLS]

Two clients give edits and withdraw some, one request after another, while the service is killed (SIGKILL, all of its
processes) after a time that grows from kill to kill through a whole batch, KILLS times (20). The clients say a request
again that was not answered. In the end every edit that was accepted is in the weights, or was withdrawn and is not,
and the journal proves whole.
"""

import sys
import tempfile
import threading
import time
from pathlib import Path

from service_run import Refused, Service, edit, require


class Client:
    """Gives edits until it is told to stop; a request without an answer is said again."""

    def __init__(self, service: Service, first: int) -> None:
        self.service, self.next = service, first
        self.accepted: set[str] = set()
        self.withdrawn: set[str] = set()
        self.going = True
        self.thread = threading.Thread(target=self._give, daemon=True)
        self.thread.start()

    def _say(self, method: str, path: str, body: object = None) -> dict | None:
        while self.going:
            try:
                return self.service.request(method, path, body, seconds=20)
            except Refused as refused:
                require(refused.status == 503, f"{method} {path}: {refused}")
            except (OSError, ValueError):
                pass  # killed before or within its answer
            time.sleep(0.05)
        return None

    def _give(self) -> None:
        while self.going:
            one = edit(self.next)
            answer = self._say("POST", "/v1/edits", one)
            if answer is None:
                return
            require([each["id"] for each in answer["edits"]] == [one["id"]], f"another answer: {answer}")
            self.accepted.add(one["id"])
            if self.next % 5 == 0 and self._say("DELETE", f"/v1/edits/{one['id']}") is not None:
                self.withdrawn.add(one["id"])
            self.next += 2
            time.sleep(0.3)

    def stop(self) -> None:
        self.going = False
        self.thread.join()


def main() -> None:
    program, model, statistics = sys.argv[1:4]
    kills = int(sys.argv[4]) if len(sys.argv) > 4 else 20
    with tempfile.TemporaryDirectory() as name:
        service = Service(program, model, statistics, Path(name))
        service.start()
        clients = [Client(service, first) for first in (0, 1)]
        for kill in range(kills):
            # Some before it is ready, within its replay; most through the length of a batch.
            time.sleep(0.1 + 2.5 * ((7 * kill) % kills) / kills)
            service.kill()
            service.start(until="listens" if kill % 4 == 3 else "ready")
        for client in clients:
            client.stop()
        service.wait_for(lambda: service.status("/readyz") == 200, "the service to be ready")
        accepted = set.union(*(client.accepted for client in clients))
        withdrawn = set.union(*(client.withdrawn for client in clients))
        final = {"committed", "removed", "withdrawn", "set_aside"}
        service.wait_for(lambda: all(service.state_of(one) in final for one in accepted), "every edit to be settled")
        states = {one: service.state_of(one) for one in accepted}
        service.wait_for(lambda: all(service.state_of(one) != "committed" for one in withdrawn), "what was withdrawn")
        lost = {one: state for one, state in states.items() if one not in withdrawn and state != "committed"}
        require(not lost, f"{len(lost)} accepted edits are not in the weights: {dict(list(lost.items())[:5])}")
        require(service.stop() == 0, "the service, told to stop, fails")
        verified = service.run("journal", "verify", "run")
        require(verified.returncode == 0, f"journal verify: {verified.stderr}")
        print(f"{kills} kills, {len(accepted)} edits accepted, {len(withdrawn)} of them withdrawn, none lost")


if __name__ == "__main__":
    main()
