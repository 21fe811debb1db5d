core / unity_catalog.py
