"""What a run found, as tables and charts."""

import importlib.metadata
import math
import statistics


def versions():
    names = ("datafusion", "duckdb", "pysail", "roapi", "adbc-driver-flightsql", "pyarrow")
    return {name: importlib.metadata.version(name) for name in names}


def medians(measured):
    return {name: statistics.median(it) for name, it in measured["seconds"].items() if it}


def geometric_mean(ratios):
    ratios = list(ratios)
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else math.nan


def table(head, lines):
    texts = [[str(it) for it in line] for line in [head, *lines]]
    widths = [max(len(line[at]) for line in texts) for at in range(len(head))]

    def line(cells):
        first, *others = [cell.ljust(width) if not at else cell.rjust(width) for at, (cell, width) in enumerate(zip(cells, widths))]
        return "| " + " | ".join([first, *others]) + " |"

    rule = "|" + "|".join("-" * (width + 2) if not at else "-" * (width + 1) + ":" for at, width in enumerate(widths)) + "|"
    return "\n".join([line(texts[0]), rule, *map(line, texts[1:])])


def ratios(measured, of, to):
    """{query: seconds of one by those of another}, where both have a result."""
    found = {}
    for number, it in measured.items():
        seconds = medians(it)
        if of in seconds and to in seconds:
            found[number] = seconds[of] / seconds[to]
    return found


def versus(measured, of, to):
    found = ratios(measured, of, to)
    if not found:
        return "none"
    worst = max(found, key=found.get)
    return f"{geometric_mean(found.values()):.3f} of {len(found)} queries, worst {found[worst]:.2f} (q{worst})"


def queries(found):
    names = list(next(iter(found.values()))["seconds"])
    for it in found.values():
        names += [name for name in it["seconds"] if name not in names]
    lines = []
    for number, it in found.items():
        seconds = medians(it)
        lines.append([f"q{number}", *(f"{seconds[name] * 1000:.0f}" if name in seconds else "-" for name in names)])
    complete = [it for it in found.values() if set(names) <= set(it["seconds"])]
    lines.append([f"sum of {len(complete)}", *(f"{sum(medians(it)[name] for it in complete) * 1000:.0f}" for name in names)])
    text = ["## 22 queries, warm", "", "Milliseconds, medians.", "", table(["query", *names], lines), "", "Geometric means of ratios:", ""]
    text += [f"- weft to {name}: {versus(found, 'weft', name)}" for name in names if name != "weft"]
    failed = [f"- q{number}, {name}: {why}" for number, it in found.items() for name, why in it["failed"].items()]
    return text + (["", "Without a right answer:", "", *failed] if failed else [])


def markdown(found):
    text = [
        f"# TPC-H, scale {found['scale']:g}",
        "",
        f"{found['cores']} cores, {found['machine']}; {found['rounds']} rounds. "
        + ", ".join(f"{name} {version}" for name, version in found["versions"].items())
        + ".",
    ]
    if "queries" in found:
        text += ["", *queries(found["queries"])]
    if "governed" in found:
        text += ["", "## Governed, against the same SQL by hand", ""]
        for variant, measured in found["governed"].items():
            differ = [f"q{number}" for number, it in measured.items() if not it["same"]]
            text.append(f"- `{variant}`: {versus(measured, 'weft', 'by hand')}" + (f"; results differ: {', '.join(differ)}" if differ else ""))
    if "bulk" in found:
        it = found["bulk"]
        lines = [[name, f"{seconds:.2f}", f"{it['bytes'][name] / seconds / 1e9:.2f}"] for name, seconds in medians(it).items()]
        text += ["", "## All of lineitem", "", table(["", "seconds", "GB/s"], lines)]
    if "latency" in found:
        lines = []
        for name, seconds in found["latency"]["seconds"].items():
            ordered = sorted(seconds)
            lines.append([name, f"{ordered[len(ordered) // 2] * 1000:.2f}", f"{ordered[len(ordered) * 99 // 100] * 1000:.2f}"])
        text += ["", "## `SELECT 1`", "", table(["", "p50 ms", "p99 ms"], lines)]
    if "points" in found:
        lines = [
            [f"{clients} clients", name, f"{it['per_second']:.0f}", f"{it['p50'] * 1000:.1f}", f"{it['p99'] * 1000:.1f}"]
            for clients, all in found["points"].items()
            for name, it in all.items()
        ]
        text += ["", "## Orders by key", "", table(["", "", "a second", "p50 ms", "p99 ms"], lines)]
    if "start" in found:
        lines = [[name, f"{statistics.median(it['seconds']):.2f}", f"{statistics.median(it['bytes']) / 1e6:.0f}"] for name, it in found["start"].items()]
        text += ["", "## Start to first answer", "", table(["", "seconds", "MB then"], lines)]
    if found.get("peak_bytes"):
        text += ["", "## Most memory in the run", "", table(["", "MB"], [[name, f"{it / 1e6:.0f}"] for name, it in found["peak_bytes"].items()])]
    return "\n".join(text) + "\n"


def charts(found, folder):
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    if "queries" in found:
        measured = found["queries"]
        names = sorted({name for it in measured.values() for name in it["seconds"]}, key=lambda name: (name != "weft", name))
        figure, axes = plt.subplots(figsize=(12, 4))
        for at, name in enumerate(names):
            seconds = [medians(it).get(name, math.nan) for it in measured.values()]
            axes.bar([place + at / (len(names) + 1) for place in range(len(measured))], seconds, 1 / (len(names) + 1), label=name)
        axes.set_xticks([place + 0.3 for place in range(len(measured))], [f"q{number}" for number in measured])
        axes.set_ylabel("seconds, median")
        axes.legend()
        figure.savefig(folder / "queries.svg", bbox_inches="tight")
    if "points" in found:
        figure, axes = plt.subplots(figsize=(6, 4))
        for name in next(iter(found["points"].values())):
            axes.plot([int(it) for it in found["points"]], [it[name]["per_second"] for it in found["points"].values()], "o-", label=name)
        axes.set_xlabel("clients")
        axes.set_ylabel("orders by key, a second")
        axes.set_ylim(bottom=0)
        axes.legend()
        figure.savefig(folder / "points.svg", bbox_inches="tight")
