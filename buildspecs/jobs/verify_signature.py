"""Verify, before they go any further, that the images of this run are signed with a signing profile of AWS Signer.

Each image needs a signature of its own digest by this profile, which is neither expired nor revoked. Changes nothing.
Reads image.json. Variables: IMAGE_REPOSITORY_URI, IMAGE_DIGEST, of the images that are delivered with the application's
FURTHER_IMAGES (JSON object: the name of each, and its repository) and FURTHER_DIGESTS (`name=digest`, with spaces),
SIGNING_PROFILE (ARN of the signing profile).
"""

from __future__ import annotations

from jobs import delivered, further_images, job, notation


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version", "go version")
    delivered.read_json("image.json")
    images = [delivered.image(), *further_images.delivered().values()]
    tool = notation.install(images)
    refused = [image for image in images if not tool.is_signed(image)]
    if refused:
        lines = "\n".join(f"  - {image.uri}" for image in refused)
        job.fail(
            f"without a valid signature of {tool.profile}, for the reason that Notation gives above:\n{lines}\n"
            "An image that an earlier version of its pipeline has built, or another one, is signed when that pipeline "
            "is started again. Which profile has to have signed says verification.signature in the stack file; see "
            "docs/operations.md."
        )
    job.say(f"Everything that is delivered is signed with {tool.profile}")
