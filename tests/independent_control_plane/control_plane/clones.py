"""Restarts, starts without a trace, and two machines on copies of one ledger."""
CLONE, LOWER = 1, 2  # what was alarmed for an instance, once each


def seen(store, agent: str, epoch: int, instance: str) -> bool:
    """Notes who spoke; true if this process was replaced by one with a higher epoch."""
    if epoch == 0:
        return False  # the enroll command, which has no ledger
    with store.lock:  # calls come in parallel
        return _seen(store, agent, epoch, instance)


def _seen(store, agent: str, epoch: int, instance: str) -> bool:
    newest = store.value("SELECT epoch FROM agents WHERE id=?", agent)
    row = store.row("SELECT * FROM instances WHERE agent=? AND epoch=? AND instance=?",
                    agent, epoch, instance)
    if epoch < newest:
        if row is None or row["alarmed"] < LOWER:
            store.alarm(agent, "lower_epoch", instance)
            store.run("REPLACE INTO instances VALUES (?,?,?,?,?)", agent, epoch, instance,
                      row["nr"] if row else 0, LOWER)
        return True
    last = store.value("SELECT max(nr) FROM instances WHERE agent=? AND epoch=?", agent, epoch) or 0
    if row is None:
        store.run("UPDATE agents SET epoch=? WHERE id=?", epoch, agent)
        store.run("INSERT INTO instances VALUES (?,?,?,?,0)", agent, epoch, instance, last + 1)
    elif row["nr"] != last and not row["alarmed"]:
        store.alarm(agent, "clone", instance)
        store.run("UPDATE instances SET alarmed=? WHERE agent=? AND epoch=? AND instance=?",
                  CLONE, agent, epoch, instance)
    return False
