"""Sign the images of this run by their digests, with a signing profile of AWS Signer.

The signature is kept beside the image and says that this pipeline has built it: no job that runs code of the
application's repository may use the profile. An image that is signed already is not signed again. Reads image.json.
Variables: IMAGE_REPOSITORY_URI, IMAGE_DIGEST, of the images that are delivered with the application's FURTHER_IMAGES
(JSON object: the name of each, and its repository) and FURTHER_DIGESTS (`name=digest`, with spaces), SIGNING_PROFILE
(ARN of the signing profile, of the platform Notation-OCI-SHA384-ECDSA).
"""

from __future__ import annotations

from jobs import delivered, further_images, job, notation


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version", "go version")
    delivered.read_json("image.json")
    images = [delivered.image(), *further_images.delivered().values()]
    tool = notation.install(images)
    for image in images:
        if tool.is_signed(image):
            job.say(f"{image.uri} is signed already.")
        else:
            tool.sign(image)
            job.say(f"{image.uri} is signed with {tool.profile}")
