# The companion in a container, CPU only: docker build -t halo . && docker run --rm -p 8888:8888 halo
# Python and make are all that it needs; .devcontainer builds this first stage and mounts the checkout.
FROM python:3.12-slim AS tools
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
# The CPU build of torch; the default index would bring gigabytes of GPU libraries.
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
WORKDIR /halo

FROM tools
COPY Makefile pyproject.toml setup.py README.md requirements.txt requirements-test.txt ./
COPY halo_utils halo_utils
RUN make setup
COPY . .
CMD [".venv/bin/jupyter", "lab", "--allow-root", "--ip=0.0.0.0", "--no-browser", "--notebook-dir=notebooks"]
