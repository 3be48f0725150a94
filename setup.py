"""Packaging. The folders stay at the top of the checkout and install as one name, `privacy_callbacks`."""

from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent

setup(
    name="privacy-callbacks",
    version=(HERE / "privacy_callbacks" / "VERSION").read_text().strip(),
    description="One Keras callback: see, while the model trains, how much of its training data an attacker could recognise",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    # A top-level `attacks` in site-packages would shadow any user's own attacks.py.
    packages=[
        "privacy_callbacks",
        "privacy_callbacks.privacy_page",
        "privacy_callbacks.tensorboard_plugin",
        "privacy_callbacks.attacks",
        "privacy_callbacks.range_queries",
    ],
    package_dir={
        "privacy_callbacks": "privacy_callbacks",
        "privacy_callbacks.privacy_page": "privacy_callbacks/privacy_page",
        "privacy_callbacks.tensorboard_plugin": "privacy_callbacks/tensorboard_plugin",
        "privacy_callbacks.attacks": "attacks",
        "privacy_callbacks.range_queries": "range_queries",
    },
    package_data={
        "privacy_callbacks": ["py.typed", "VERSION"],
        "privacy_callbacks.privacy_page": ["static/*.js", "static/*.css"],
    },
    install_requires=[
        "tensorflow>=2.18",
        "tensorflow-probability>=0.25",
        "tf-keras>=2.18",  # tensorflow-probability needs it beside TensorFlow >= 2.16
        "numpy>=1.26",
        "scikit-learn>=1.4",  # brings scipy, whose special functions give the exact intervals
        "tensorboard>=2.18",  # TensorFlow 2.21 no longer brings it
        "pandas>=2.0",
    ],
    extras_require={
        "plots": ["matplotlib>=3.8"],
        "ray": ["ray>=2.40"],
        "accounting": ["dp-accounting>=0.6"],
        "cli": ["click>=8.1", "PyYAML>=6.0", "pydantic>=2.6"],
        "dev": [
            "matplotlib>=3.8",
            "mlxtend>=0.23",
            "pytest>=8",
            "hypothesis>=6",
            "ruff>=0.8",
            "mypy>=1.13",
            "build>=1.2",
            "click>=8.1",
            "PyYAML>=6.0",
            "pydantic>=2.6",
            "playwright>=1.49",
            "nbclient>=0.10",
            "nbformat>=5.10",
            "ipykernel>=6.29",
            "sphinx>=9",
            "myst-parser>=5",
            "furo>=2025.12",
            "dp-accounting>=0.6",
        ],
    },
    entry_points={
        "console_scripts": ["privacy-audit = privacy_callbacks.command_line:main"],
        "pytest11": ["privacy-callbacks = privacy_callbacks.pytest_plugin"],
        "tensorboard_plugins": ["privacy = privacy_callbacks.tensorboard_plugin.loader:PrivacyLoader"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Security",
        "Typing :: Typed",
    ],
)
