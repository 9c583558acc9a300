"""Whoever has a gateway in a cluster keeps the cluster: from now on operators say who may use which."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def open_where_gateways_stand(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Publishes need no look: each stands where its gateway does."""
    openings = apps.get_model("clusters", "ClusterTenant")
    pairs = (
        apps.get_model("gateways", "GatewayCluster")
        .objects.values_list("cluster_id", "gateway__tenant_id")
        .distinct()
    )
    openings.objects.bulk_create(
        [openings(cluster_id=cluster, tenant_id=tenant) for cluster, tenant in pairs], ignore_conflicts=True
    )


class Migration(migrations.Migration):
    dependencies = [("gateways", "0002_words"), ("clusters", "0006_tenants_of_clusters")]

    operations = [migrations.RunPython(open_where_gateways_stand, migrations.RunPython.noop)]
