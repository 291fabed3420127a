"""Make the features that score Fashion-MNIST, training their classifier: `python -m gpu_runs.train_features`.

One core, about four minutes. The same seed and the same torch give the same file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from tqdm import tqdm

from gpu_runs.files.fashion_mnist import load_fashion_mnist
from gpu_runs.scores.fashion_features import (
    Classifier,
    FashionFeatures,
    ModelCard,
    rounded,
    save_features,
)
from seeds_theory.command import require_writable, run_command

BATCH = 128
LEARNING_RATE = 3e-3

app = typer.Typer(add_completion=False)


def train_classifier(
    images: Tensor, labels: Tensor, *, epochs: int, seed: int = 0, progress: bool = False
) -> Classifier:
    """A classifier of uint8 images (n, 1, 32, 32), trained with Adam and a one-cycle rate."""
    torch.manual_seed(seed)
    model = Classifier()
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=1e-2)
    steps = epochs * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    bar = tqdm(total=steps, desc="training", disable=not progress, leave=False)
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(BATCH):
            _, logits = model(images[chosen])
            loss = nn.functional.cross_entropy(logits, labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            bar.update()
    bar.close()
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def accuracy(model: Classifier, images: Tensor, labels: Tensor) -> float:
    """The share of the images to which the model gives their label."""
    guesses = torch.cat([model(batch)[1].argmax(1) for batch in images.split(500)])
    return float((guesses == labels).double().mean())


@app.command()
def train(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")],
    data: Annotated[Path | None, typer.Option(help="Folder with the four idx files.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the initial weights and the order.")] = 0,
) -> None:
    """Train the classifier, fit the features of Fashion-MNIST, and write them as safetensors."""
    require_writable(out)
    images, labels = load_fashion_mnist(data)
    test = load_fashion_mnist(data, "test")
    classifier = train_classifier(
        images, labels, epochs=epochs, seed=seed, progress=sys.stderr.isatty()
    )
    classifier.load_state_dict(rounded(classifier))  # what is measured is what the file holds
    model = FashionFeatures(classifier)
    model.fit(images)
    card = ModelCard(
        data="Fashion-MNIST, 60000 training images padded to 32x32",
        epochs=epochs,
        batch=BATCH,
        learning_rate=LEARNING_RATE,
        seed=seed,
        test_accuracy=accuracy(classifier, *test),
    )
    save_features(model, card, out)
    print(f"{out}: test accuracy {card.test_accuracy:.4f}")


def main() -> None:
    """The module as a command."""
    run_command(app, "train_features")


if __name__ == "__main__":
    main()
