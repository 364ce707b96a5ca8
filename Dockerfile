# The environment of requirements.lock in a container; the checkout itself is mounted or copied beside it.
#
#   docker build -t affectflow .
#   docker run --rm --gpus all -v "$PWD":/affectflow -w /affectflow affectflow snakemake --cores 8 results/iemocap_report.html
#   apptainer build affectflow.sif docker-daemon://affectflow:latest
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

COPY requirements.lock /tmp/requirements.lock
RUN pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.lock && rm /tmp/requirements.lock

WORKDIR /affectflow
COPY . .
CMD ["snakemake", "--help"]
