"""Workflows for ComfyUI, in both of its formats: the one that its screen loads and the one that is posted.

A workflow is a list of nodes. What goes into a node is a widget's value or the output of an earlier node;
both formats follow from that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"
"""The checkpoint that ComfyUI's own first workflow names: whoever loads ours chooses another in the list."""


@dataclass(frozen=True)
class Output:
    """What a node hands on: the node, and which of its outputs."""

    node: Node
    slot: int


@dataclass(frozen=True, eq=False)
class Node:
    """One node.

    Parameters
    ----------
    kind : its class in ComfyUI.
    column, row : where it stands on the screen.
    outputs : the types of what it hands on.
    inputs : for each name another node's output, or a widget's value; widgets in the order of the class.
    title : instead of the class's own.
    """

    kind: str
    column: int
    row: int
    outputs: tuple[str, ...] = ()
    inputs: dict[str, Any] = field(default_factory=dict)
    title: str = ""

    def __getitem__(self, kind: str) -> Output:
        """The output of that type."""
        return Output(self, self.outputs.index(kind))


@dataclass(frozen=True)
class Workflow:
    """Nodes, each after those that it takes something from."""

    nodes: tuple[Node, ...]

    def for_the_server(self) -> str:
        """What ``POST /prompt`` takes as its body."""
        number = {node: str(n) for n, node in enumerate(self.nodes, start=1)}
        prompt = {
            number[node]: {
                "class_type": node.kind,
                "inputs": {
                    name: [number[value.node], value.slot] if isinstance(value, Output) else value
                    for name, value in node.inputs.items()
                },
            }
            for node in self.nodes
        }
        return _text({"prompt": prompt})

    def for_the_screen(self) -> str:
        """What the screen opens, saves and lists among its templates."""
        links: list[list[Any]] = []
        number = {node: n for n, node in enumerate(self.nodes, start=1)}
        nodes = []
        for node in self.nodes:
            inputs = []
            taken = {name: v for name, v in node.inputs.items() if isinstance(v, Output)}
            for slot, (name, value) in enumerate(taken.items()):
                kind = value.node.outputs[value.slot]
                links.append(
                    [len(links) + 1, number[value.node], value.slot, number[node], slot, kind]
                )
                inputs.append({"name": name, "type": kind, "link": len(links)})
            nodes.append(_shown(node, number[node], inputs))
        for shown in nodes:
            for slot, output in enumerate(shown["outputs"]):
                output["links"] = [n for n, of, at, *_ in links if (of, at) == (shown["id"], slot)]
        counts = {"last_node_id": len(nodes), "last_link_id": len(links)}
        rest = {"groups": [], "config": {}, "extra": {}, "version": 0.4}
        return _text({**counts, "nodes": nodes, "links": links, **rest})


def workflow(method: str) -> Workflow:
    """A text to an image by the sampler node, with the scheduler that ComfyUI has for SamplerCustom."""
    widgets = {"scheduler": "karras", "steps": 15, "denoise": 1.0}
    return _text_to_image(method, "BasicScheduler", widgets)


def few_steps_workflow() -> Workflow:
    """The same in ten model calls, with the method that its noise levels were tuned with."""
    widgets = {"calls": 10, "kind": "sde", "steps": 0, "width": 1.0}
    return _text_to_image("seeds-3b", "SEEDSFewStepsSigmas", widgets)


def _text_to_image(method: str, scheduler: str, widgets: dict[str, Any]) -> Workflow:
    checkpoint = Node(
        "CheckpointLoaderSimple", 0, 0, ("MODEL", "CLIP", "VAE"), {"ckpt_name": CHECKPOINT}
    )

    def encoded(row: int, text: str, title: str) -> Node:
        inputs = {"text": text, "clip": checkpoint["CLIP"]}
        return Node("CLIPTextEncode", 1, row, ("CONDITIONING",), inputs, title)

    positive = encoded(0, "a glass greenhouse in morning fog, photograph", "What")
    negative = encoded(1, "text, watermark", "What not")
    size = {"width": 512, "height": 512, "batch_size": 1}
    latent = Node("EmptyLatentImage", 1, 2, ("LATENT",), size)
    sigmas = Node(scheduler, 1, 3, ("SIGMAS",), {"model": checkpoint["MODEL"], **widgets})
    choice = {"method": method, "eta": 1.0, "s_noise": 1.0, "seeds": ""}
    sampler = Node("SamplerSEEDS", 1, 4, ("SAMPLER",), choice)
    inputs = {
        "model": checkpoint["MODEL"],
        "add_noise": True,
        "noise_seed": 7,
        "cfg": 5.0,
        "positive": positive["CONDITIONING"],
        "negative": negative["CONDITIONING"],
        "sampler": sampler["SAMPLER"],
        "sigmas": sigmas["SIGMAS"],
        "latent_image": latent["LATENT"],
    }
    run = Node("SamplerCustom", 2, 0, ("LATENT", "LATENT"), inputs)
    ends = {"samples": run["LATENT"], "vae": checkpoint["VAE"]}
    decoded = Node("VAEDecode", 3, 0, ("IMAGE",), ends)
    saved = Node("SaveImage", 3, 1, (), {"images": decoded["IMAGE"], "filename_prefix": "seeds"})
    return Workflow((checkpoint, positive, negative, latent, sampler, sigmas, run, decoded, saved))


_NAMES_OF_OUTPUTS = {"SamplerCustom": ("output", "denoised_output")}


def _shown(node: Node, number: int, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """A node as the screen has it, but for the links of its outputs."""
    names = _NAMES_OF_OUTPUTS.get(node.kind, node.outputs)
    widgets: list[Any] = []
    for name, value in node.inputs.items():
        if not isinstance(value, Output):
            # After a seed the screen has a widget that says what becomes of it.
            widgets += [value, "fixed"] if name == "noise_seed" else [value]
    shown = {
        "id": number,
        "type": node.kind,
        "pos": [40 + 420 * node.column, 40 + 240 * node.row],
        "size": [360, 180],
        "flags": {},
        "order": number - 1,
        "mode": 0,
        "inputs": inputs,
        "outputs": [
            {"name": name, "type": kind, "slot_index": slot, "links": []}
            for slot, (name, kind) in enumerate(zip(names, node.outputs, strict=True))
        ],
        "properties": {"Node name for S&R": node.kind},
        "widgets_values": widgets,
    }
    return shown | ({"title": node.title} if node.title else {})


def _text(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"
