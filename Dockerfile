# The environment of requirements.lock with affectflow in it; results go to the folder that is mounted.
#
#   docker build --platform linux/amd64 -t affectflow .
#   docker run --rm --gpus all -v "$PWD":/data -w /data affectflow affectflow report iemocap
#   apptainer build affectflow.sif docker-daemon://affectflow:latest
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

COPY requirements.lock /tmp/requirements.lock
RUN pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.lock && rm /tmp/requirements.lock

WORKDIR /affectflow
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
CMD ["affectflow", "--help"]
