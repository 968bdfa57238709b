"""Clients of people_os_spine: event_emitter, aio, consumer, django, sqlalchemy."""
